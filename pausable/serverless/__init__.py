"""Operations slice by slice in cloud functions: a message holds a document, a call runs its next steps."""
