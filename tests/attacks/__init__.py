"""
Attacks on a served ledger: by a caller, by a customer, and by another user of the machine.

| attack | tests |
|---|---|
| S1: questions, texts and values that take long to read | `test_questions`, `test_texts`, `test_fuzz` |
| S2: records and answers as large as may be | `test_records` |
| S3: long histories, crowds of writers | `test_records`, `test_writers` |
| S4: large users among others | `test_records` |
| S5: a planted trigger, view or index | `test_files` |
| S6: other spellings of a path | `test_paths` |
| S7: large questions and answers through nginx | `test_proxy` |
| S8: a database server without TLS | `test_database` |
| S9: a planted link | `test_files` |
| S10: files that others may read | `test_files` |
| S11: many who list requests | `test_records` |
| S12: changes of the tokens file | `test_files` |
| S15: questions with two readings | `test_questions` |
| S16: connections that never end, break off or guess tokens | `test_connections` |
"""
