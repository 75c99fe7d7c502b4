-- Records that did not land, with why: the facts' fault, else the series' fault, else the line was no record at all.
CREATE OR REPLACE TEMP TABLE refused AS
SELECT decoded.*, series.fault AS series_fault
FROM decoded_gpu('numbered') AS decoded
LEFT JOIN (SELECT series_key, fault FROM known_series WHERE fault IS NOT NULL) AS series USING (series_key) -- NULL: the series is sound
WHERE decoded.sound IS NOT TRUE OR series.fault IS NOT NULL;

SELECT
    record,
    coalesce(
        CASE WHEN gpu_uuid IS NULL AND sampled_at IS NULL THEN 'malformed: no GPU sample could be read' END,
        text_fault('gpu_uuid', gpu_uuid, true, 256),
        time_fault('sampled_at', sampled_at, claimed_at),
        first_fault(list_transform([
            {name: 'active_ratio', text: active_ratio}, {name: 'sm_active_ratio', text: sm_active_ratio},
            {name: 'tensor_active_ratio', text: tensor_active_ratio}, {name: 'dram_active_ratio', text: dram_active_ratio}
        ], lambda field: ratio_fault(field.name, field.text))),
        count_fault('memory_used_bytes', memory_used_bytes, 9223372036854775807),
        first_fault(list_transform([{name: 'power_watts', text: power_watts}, {name: 'energy_joules', text: energy_joules}],
            lambda field: amount_fault(field.name, field.text))),
        series_fault) AS fault,
    '' AS source,
    unquoted(gpu_uuid) AS identity
FROM refused
ORDER BY record
