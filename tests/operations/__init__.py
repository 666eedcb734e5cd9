"""What an operator starts, watches and types: the image, the manifests, the alerts, and the commands of the pages."""
