"""The three stages of the pipeline: arrays in, arrays out, one ONNX session each."""
