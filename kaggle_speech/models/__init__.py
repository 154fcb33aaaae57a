"""Models: architectures, registry, anatomy, cost, the folder of a trained one, the pretrained ones."""
