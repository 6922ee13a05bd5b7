//! What a store keeps is believed only after every check.
