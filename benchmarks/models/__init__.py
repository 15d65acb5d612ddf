"""Models on scanner matrices: Photopeak's plans beside other runtimes, each in a process of its own, taking turns."""
