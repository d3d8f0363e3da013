"""The PAL machine: a mesh of CPUs, GPUs and SPUs that compute in OpenPAL (docs/pal.md)."""
