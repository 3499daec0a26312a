"""How the schools write a network in NumPy, a module each: what the adapters are held to and timed beside."""
