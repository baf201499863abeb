"""Who calls: tokens, certificates, the file of identities, the keys of an identity provider."""
