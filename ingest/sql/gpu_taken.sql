-- The slice, decoded once: facts, series key and soundness of every record; learning and landing read this, not the bytes.
CREATE OR REPLACE TEMP TABLE taken AS
SELECT series_key, sound, claimed_at, active, sm_active, tensor_active, dram_active, memory, power, energy
FROM decoded_gpu('incoming')
