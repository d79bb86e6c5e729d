"""The pinned Maven artifacts of the Android half and the programs of this machine."""
