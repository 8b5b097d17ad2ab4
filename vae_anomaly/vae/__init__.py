"""The variational autoencoders: all of the core, and nothing of data, files or users.

`model` is the VAE, its four seams (encoder, decoder, likelihood, prior) and the one output that all
members share. Each further member differs in how it infers its latents:

====================  =======================================================
variants              without a prior, conditional, from a few labels, trained on L draws
ladder                layers of latents, each with a top-down prior
vq                    discrete codes
linear                closed form: probabilistic PCA
stacked               K dense members in one batched forward
====================  =======================================================

What they are made of, and what is done with them:

====================  =======================================================
family                any member from a description that fits into JSON
networks              dense and convolutional encoders and decoders, 1 to 3 dimensions
likelihoods/          log p(x given z): continuous, discrete
priors                p(z): normal, mixture, VampPrior, exemplars
objectives            KL, ELBO, free bits, schedules: pure functions of tensors
noise                 corruption for denoising members
training/             the one loop: configuration, steps, checkpoints
diagnostics           collapse, active units, mutual information
latents               embed, sample, interpolate, traverse, balance
sweep/                beta and latent size side by side
====================  =======================================================
"""
