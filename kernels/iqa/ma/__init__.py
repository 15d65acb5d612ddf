"""The features and forests of Ma et al.: what the quality metric for super-resolved images is made of."""
