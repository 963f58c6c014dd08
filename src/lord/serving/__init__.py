"""A learner that runs by itself: an HTTP API that answers, and a watch that learns what arrives."""
