"""Operations in cloud functions: a message holds a document, and each call runs its next slice."""
