"""Networks only: nothing here knows of training, files or users.

`vae` holds the variational autoencoder and the output that all share; each other file is one
member of the family and differs in how it infers its latents:

========================  ==========================================================
autoencoder               no prior: the baseline
conditional               encoder and decoder are told the product, machine or mode
importance_weighted       trained on the bound with L draws
ladder                    layers of latents, each with a top-down prior
linear                    closed form: probabilistic PCA
semi_supervised           learns classes from a few labels
vq                        discrete codes
ensemble                  K dense members in one batched forward
repair                    restores corrupted feature maps
========================  ==========================================================

``family`` builds any of them from a description that fits into JSON;
``networks`` has dense encoders and decoders, and convolutional ones in 1, 2 and 3 dimensions.
"""
