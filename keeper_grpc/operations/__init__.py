"""The commands of whoever runs the service: `keeper migrate`, `keeper backup`, `keeper restore`, `keeper doctor`."""
