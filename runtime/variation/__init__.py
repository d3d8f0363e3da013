"""What varies from chip to chip and from read to read, and what each effect costs."""
