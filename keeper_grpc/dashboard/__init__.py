"""The web page of the network: a plain client of the service, in NiceGUI."""
