"""Write a llama of random weights as GGUF: small enough for any CPU, real enough for llama-server to serve.

    pip install gguf numpy; python model.py tiny.gguf

Its words are letters and bytes; what it says means nothing.
"""

from __future__ import annotations

import sys

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType

WIDTH, HEADS, LAYERS, INNER, CONTEXT = 128, 4, 2, 256, 4096
CHAT = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"


def vocabulary() -> list[tuple[str, TokenType]]:
    """Each token once: the special ones, every byte, and every printable character of ASCII."""
    special = [("<unk>", TokenType.UNKNOWN), ("<s>", TokenType.CONTROL), ("</s>", TokenType.CONTROL)]
    octets = [(f"<0x{number:02X}>", TokenType.BYTE) for number in range(256)]
    letters = [("\u2581" if number == 32 else chr(number), TokenType.NORMAL) for number in range(32, 127)]
    return [*special, *octets, *letters]


def write(path: str) -> None:
    """Write the file; the same bytes each time."""
    words, chance = vocabulary(), np.random.default_rng(7)
    file = GGUFWriter(path, "llama")
    file.add_name("tiny-random")
    file.add_context_length(CONTEXT)
    file.add_embedding_length(WIDTH)
    file.add_block_count(LAYERS)
    file.add_feed_forward_length(INNER)
    file.add_head_count(HEADS)
    file.add_head_count_kv(HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(WIDTH // HEADS)
    file.add_vocab_size(len(words))
    file.add_file_type(LlamaFileType.ALL_F32)
    file.add_tokenizer_model("llama")
    file.add_token_list([text.encode() for text, _ in words])
    file.add_token_scores([-float(number) for number in range(len(words))])
    file.add_token_types([kind for _, kind in words])
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_unk_token_id(0)
    file.add_add_bos_token(value=True)
    file.add_chat_template(CHAT)

    def tensor(name: str, *shape: int, weights: bool = True) -> None:
        drawn = chance.standard_normal(shape) * 0.05 if weights else np.ones(shape)
        file.add_tensor(name, drawn.astype(np.float32), raw_dtype=GGMLQuantizationType.F32)

    tensor("token_embd.weight", len(words), WIDTH)
    tensor("output_norm.weight", WIDTH, weights=False)
    tensor("output.weight", len(words), WIDTH)
    for layer in range(LAYERS):
        tensor(f"blk.{layer}.attn_norm.weight", WIDTH, weights=False)
        tensor(f"blk.{layer}.ffn_norm.weight", WIDTH, weights=False)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"blk.{layer}.{name}.weight", WIDTH, WIDTH)
        tensor(f"blk.{layer}.ffn_gate.weight", INNER, WIDTH)
        tensor(f"blk.{layer}.ffn_up.weight", INNER, WIDTH)
        tensor(f"blk.{layer}.ffn_down.weight", WIDTH, INNER)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


if __name__ == "__main__":
    write(sys.argv[1])
