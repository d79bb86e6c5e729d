"""What a model is made of: its operators, who knows them, and which a job lets in. No TensorFlow here."""
