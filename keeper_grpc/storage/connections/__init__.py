"""From a DSN to one connection that the service can use: parameters, TLS, hosts, settings of the session."""
