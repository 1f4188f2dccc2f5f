"""Tables of hostile and of odd but legal messages, composed from RFC 9110, RFC 9112 and published weaknesses."""
