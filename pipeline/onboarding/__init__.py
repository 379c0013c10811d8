"""Looks at sources nobody described yet and writes a first site file and specifications."""
