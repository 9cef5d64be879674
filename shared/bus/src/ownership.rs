//! Who owns which partition.
