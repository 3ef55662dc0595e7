"""The files of many machines: one S3 bucket; `bucket` reaches it, `blobs` keeps files in it."""
