"""Scheduling of tasks on devices, over arrays only: costs, choice, check and bound apart."""
