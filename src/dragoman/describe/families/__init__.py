"""What Dragoman knows of families of environments: names, units and sentences."""
