-- step:   metering.served_model
-- grain:  deployment_no, model_no, effective_from
-- reads:  book.deployment_model, book.model_adapter, book.model
-- params: none
-- why:    an adapter has a name of its own and runs on the weights of its model, so it is served wherever that is
SELECT deployment_no, model_no, effective_from, effective_to
FROM book.deployment_model
UNION
SELECT served.deployment_no, model.model_no, served.effective_from, served.effective_to
FROM book.deployment_model AS served
JOIN book.model_adapter AS adapter USING (model_no)
JOIN book.model AS model ON model.model_id LIKE adapter.pattern ESCAPE '\' AND model.model_no > 0
