"""The sizes of a tiny Qwen3-Omni Thinker, for tests with random weights. It is not trained.

The classes are the real ones. As in the released model, a head is wider than its share of the states, every layer has experts,
and DeepStack reaches the first layers of the decoder.
"""

from transformers import Qwen2Tokenizer, Qwen3OmniMoeThinkerConfig

from . import tiny

SPECIAL_TOKENS = {  # the official tokenizer's attribute -> token
    "image_token": "<|image_pad|>",
    "audio_token": "<|audio_pad|>",
    "video_token": "<|video_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
    "audio_bos_token": "<|audio_start|>",
    "audio_eos_token": "<|audio_end|>",
}
CHAT_TEMPLATE = tiny.chat_template(
    "<|vision_start|><|image_pad|><|vision_end|>",
    "<|audio_start|><|audio_pad|><|audio_end|>",
    "<|vision_start|><|video_pad|><|vision_end|>",
)
PREPROCESSOR = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "patch_size": 16}  # of the released preprocessor_config.json
WIDTH = 96


def config(made: Qwen2Tokenizer) -> Qwen3OmniMoeThinkerConfig:
    """12 decoder layers of width 96, each with 8 experts of which 2 are chosen: 2.6 M parameters with the encoders."""
    ids = {name: made.convert_tokens_to_ids(token) for name, token in SPECIAL_TOKENS.items()}
    rope = dict(rope_type="default", rope_theta=tiny.ROPE_THETA, mrope_section=[6, 5, 5], interleaved=True)
    return Qwen3OmniMoeThinkerConfig(
        audio_config=dict(
            d_model=64,
            encoder_layers=3,
            encoder_attention_heads=4,
            encoder_ffn_dim=128,
            num_mel_bins=128,
            n_window=50,
            n_window_infer=200,
            downsample_hidden_size=16,
            output_dim=WIDTH,
        ),
        vision_config=dict(
            depth=4,
            hidden_size=64,
            intermediate_size=128,
            num_heads=4,
            num_position_embeddings=64,
            deepstack_visual_indexes=[0, 1, 2],
            out_hidden_size=WIDTH,
        ),
        text_config=dict(
            vocab_size=tiny.vocabulary_size(made),
            hidden_size=WIDTH,
            intermediate_size=48,
            num_hidden_layers=12,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            max_position_embeddings=4096,
            moe_intermediate_size=48,
            num_experts=8,
            num_experts_per_tok=2,
            rope_parameters=rope,
        ),
        audio_token_id=ids["audio_token"],
        image_token_id=ids["image_token"],
        video_token_id=ids["video_token"],
        audio_start_token_id=ids["audio_bos_token"],
        audio_end_token_id=ids["audio_eos_token"],
        vision_start_token_id=ids["vision_bos_token"],
        vision_end_token_id=ids["vision_eos_token"],
        user_token_id=made.convert_tokens_to_ids("user"),
        position_id_per_seconds=13,
        seconds_per_chunk=2,
    )
