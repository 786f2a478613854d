"""The composition root, room by room: what a site is built of, each object once; ``app`` puts the rooms together."""
