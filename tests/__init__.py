"""What the product is tested and measured by; a package, because an installed one is called ``tests`` too."""
