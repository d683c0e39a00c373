"""What a worker's words assert: ``read`` turns free text into assertions by documented patterns.

Guarantees: only what is said as a fact becomes an assertion; plans, questions, hearsay, conditions, doubts and
failures do not. What is not, or not wholly, turned into assertions is listed with the reason, so that no text is
taken as confirmed while a part of it was not understood. Does not: look at anything, or understand English.
"""

from wingman_core.sentences.reader import MAX_ASSERTIONS, read
from wingman_core.sentences.reading import Reading, Reason, Unread

__all__ = ["MAX_ASSERTIONS", "Reading", "Reason", "Unread", "read"]
