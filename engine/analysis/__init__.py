"""Models that find and classify: from images to detections, scores and evidence maps. Never imports torch."""
