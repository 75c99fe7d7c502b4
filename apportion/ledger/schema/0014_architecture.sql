-- What models are made of, where the config says: the roofline of a model on a GPU is computed from it.
CREATE TABLE book.model_architecture (
    model_no         INTEGER NOT NULL,
    architecture     VARCHAR NOT NULL,
    weights          VARCHAR NOT NULL,
    kv               VARCHAR NOT NULL,
    batch            INTEGER NOT NULL,
    mean_context     INTEGER NOT NULL,
    tensor_parallel  INTEGER,
    effective_from   TIMESTAMP NOT NULL,
    effective_to     TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.model_architecture IS 'how a model is built and served; no two rows of one model overlap; metering makes metering.phase_coefficient of it';
COMMENT ON COLUMN book.model_architecture.architecture IS 'JSON: layers, widths, heads, experts, windows as read from its config.json, and nothing else of that file';
COMMENT ON COLUMN book.model_architecture.weights IS 'format of its weights: bf16 | fp16 | fp8 | int8 | int4 | mxfp4 | nvfp4';
COMMENT ON COLUMN book.model_architecture.kv IS 'format of its KV cache: bf16 | fp16 | fp8 | int8';
COMMENT ON COLUMN book.model_architecture.batch IS 'sequences that one replica decodes together';
COMMENT ON COLUMN book.model_architecture.mean_context IS 'tokens of a usual prompt';
COMMENT ON COLUMN book.model_architecture.tensor_parallel IS 'GPUs that one replica is spread over; NULL: those of the deployment, up to eight';
