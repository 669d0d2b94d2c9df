"""Lambent: AWS Lambda on any Kubernetes cluster. The floor plan is operator/README.md."""
