"""Output folders seen from outside: what each was asked for, how far it is, whether it is whole."""
