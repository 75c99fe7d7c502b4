-- Where GPUs belong, worked out once for all that is metered of them.
CREATE TABLE metering.gpu_place (
    gpu_series_no   INTEGER NOT NULL,
    deployment_no   INTEGER NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL,
    pool_no         INTEGER NOT NULL,
    gpu_uuid        VARCHAR NOT NULL,
    is_whole        BOOLEAN NOT NULL,
    weight          INTEGER NOT NULL
);
COMMENT ON TABLE metering.gpu_place IS 'grain: gpu_series_no, deployment_no, effective_from; the deployments that a GPU seen in the span is of, several where they disagree; rebuilt whole for every span';
COMMENT ON COLUMN metering.gpu_place.effective_from IS 'the range of the deployment, also outside the span';
COMMENT ON COLUMN metering.gpu_place.is_whole IS 'the GPU itself, not a slice of it';
COMMENT ON COLUMN metering.gpu_place.weight IS 'part of the compute of its GPU, in 28ths';
