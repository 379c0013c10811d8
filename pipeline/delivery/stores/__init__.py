"""Stores of recipients: folders on this machine, in object stores and on SFTP servers, where bundles are put."""
