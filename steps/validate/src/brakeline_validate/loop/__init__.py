"""The closed loop: the model decides, a plant that is not the training simulator answers."""
