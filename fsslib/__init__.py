"""Mining latent classes for few-shot segmentation (Yang et al., ICCV 2021)."""

__version__ = "0.1.0"
