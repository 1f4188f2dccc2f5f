"""Tests of lb.config."""
