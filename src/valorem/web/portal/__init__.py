"""The portal: what end customers see of their own use, credits, limits, invoices and plan, in their own language."""
