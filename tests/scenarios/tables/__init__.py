"""Tables of hostile and of odd but legal messages, from RFC 9110, RFC 9112 and published weaknesses."""
