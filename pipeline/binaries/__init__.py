"""What lies in native libraries: ELF, machine code, the ABI of each."""
