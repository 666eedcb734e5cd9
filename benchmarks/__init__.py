"""What the library costs, beside the least that is possible, what one writes by hand, and the SDKs that one knows."""
