"""Image quality: without a reference (NIQE, BRISQUE, PIQE, Ma) and with one (PSNR, SSIM, MS-SSIM)."""
