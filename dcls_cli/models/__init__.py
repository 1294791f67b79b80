"""What a network file is and where it is: releases, weights, Hub, the authors' files, `auto`."""
