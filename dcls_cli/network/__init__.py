"""The network of the paper: DDLK estimates the blur, DCLS inverts it, DPAN restores the picture."""
