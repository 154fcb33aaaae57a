"""Data: find, fetch, unpack, index, split, batch, augment and render clips and utterances."""
