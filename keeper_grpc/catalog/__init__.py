"""The catalog: authored patterns and service names that ship with the service, as versioned data."""
